"""A real Argo CD on a real control plane, for tests: see `plane` and `server`. Pods are played by kwok."""
