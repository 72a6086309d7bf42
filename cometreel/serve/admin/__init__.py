"""The admin API and the console under `/__reel__/`."""
