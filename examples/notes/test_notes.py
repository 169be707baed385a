from microdemo_core.testing.contract import *  # noqa: F403
