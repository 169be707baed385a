from microdemo_core.testing.contract import *  # noqa: F403 - the whole suite, against the README's service
