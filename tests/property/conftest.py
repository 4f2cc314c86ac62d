"""How long the property tests search: the same short search each time, a long and new one in the long run."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile("suite", deadline=None, derandomize=True, database=None)
settings.register_profile(
    "long", deadline=None, max_examples=5000, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("long" if os.environ.get("LWM2M_LONG") == "1" else "suite")
