"""What tests of a service on the kernel need, real servers among it."""

from microdemo_core.testing.service import TEST_SECRET, ServiceUnderTest
from microdemo_core.testing.tokens import Tokens

__all__ = ("TEST_SECRET", "ServiceUnderTest", "Tokens")
