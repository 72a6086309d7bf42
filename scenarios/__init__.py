"""The included scenarios; `cometreel addons scenarios` prints their folder. This package contains no code."""
