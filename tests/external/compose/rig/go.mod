module roadstead.test/rig

go 1.19
