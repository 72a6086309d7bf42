"""The scenarios that ship: `cometreel addons scenarios` says where they lie. No code."""
