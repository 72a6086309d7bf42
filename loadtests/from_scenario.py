"""Load from a recorded scenario: its sessions become agents, its pace is scaled, its owners are re-mapped.

    locust -f loadtests/from_scenario.py --host https://gws.example -u 200 -r 50 -t 5m --headless \\
        --reel-scenario recordings/workbin-desktop.yaml --reel-speed 2 --reel-owners 'place=Place{1..200}'

`docs/load.md` has the rest.
"""

from cometreel.loadtests.run_options import add_scenario_options, read_scenario_options
from cometreel.loadtests.scenario_user import ScenarioUser
from cometreel.loadtests.wiring import wire

wire(read_scenario_options, add_scenario_options)


class Desktop(ScenarioUser):  # type: ignore[misc]  # known to the type checker as loadtests.scenario_user
    """An agent's desktop, as recorded."""
