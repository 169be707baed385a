"""What every service on the kernel holds to."""

from microdemo_core.testing.contract import *  # noqa: F403
