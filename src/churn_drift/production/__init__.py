"""A production run on this machine: what arrives, what was done, who runs; the local side of `ports`."""
