"""Locustfile: agents send the requests of a recorded scenario, at any speed, with the recorded or other owners.

    locust -f loadtests/from_scenario.py --host https://gws.example -u 200 -r 50 -t 5m --headless \\
        --reel-scenario recordings/workbin-desktop.yaml --reel-speed 2 --reel-owners 'place=Place{1..200}'

See `docs/load.md`.
"""

from cometreel.locust_agents.agent_user import ScenarioUser
from cometreel.locust_agents.locust_listeners import register_listeners
from cometreel.locust_agents.run_options import add_scenario_options, read_scenario_options

register_listeners(read_scenario_options, add_scenario_options)


class Desktop(ScenarioUser):
    """An agent's desktop, as recorded."""
