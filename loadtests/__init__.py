"""Locustfiles, run by path: `locust -f loadtests/agent_stats.py --host URL`."""
