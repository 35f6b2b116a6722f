//! The shell: read, plan, walk, report; walks the undo; handles cancel.
