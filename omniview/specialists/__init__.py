"""Local specialists: small networks that run on this machine, offline, in every case, first."""
