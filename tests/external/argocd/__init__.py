"""A real Argo CD beside a real control plane (`kubernetes`), for tests: see `server`."""
