"""Omnimodels: cloud models behind the airlock, and the built-in generalist that plays their part offline."""
