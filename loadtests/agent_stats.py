"""Locustfile: desktops of a contact centre request the statistics of workbins.

    locust -f loadtests/agent_stats.py --host https://gws.example -u 200 -r 50 -t 5m --headless \\
        --reel-owners owners.csv --reel-rate 100 --reel-limit 'notification p99 < 800ms' --reel-limit 'lost == 0'

Each user is an agent with its own login, cookies, CometD session and held poll. See `docs/load.md`.
"""

from cometreel.locust_agents.agent_user import AgentUser
from cometreel.locust_agents.locust_listeners import register_listeners
from cometreel.locust_agents.run_options import read_options

register_listeners(read_options)


class Desktop(AgentUser):
    """An agent's desktop."""
