"""A real Kubernetes control plane for tests, in a network namespace: see `plane`. Pods are played by kwok, as `pods` says."""
