"""The locustfiles, run by path: `locust -f loadtests/agent_stats.py --host URL`, and what drives their agents.

Modules import each other by their place here (`from .pump import Pump`): they are `cometreel.loadtests` where the
package is installed. None may bear a name of Python's library or of a package, since Locust puts this folder before
them all while it reads a locustfile.
"""
