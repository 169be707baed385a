"""Tokens: what a service believes, and what each issuer may say."""

import time
from datetime import timedelta

import pytest
from jose import jwt

from microdemo_core.auth import InvalidToken, Principal, TokenSigner, TokenVerifier
from microdemo_core.auth import tokens as module

KEY = "an-hmac-key-for-tests-of-more-than-32-bytes"


def claims(**changes: object) -> dict[str, object]:
    now = int(time.time())
    base = {"iss": "users", "aud": "microdemo", "sub": "7", "role": "user", "iat": now, "nbf": now, "exp": now + 60}
    return {name: value for name, value in {**base, "jti": "id", **changes}.items() if value is not None}


def test_a_person_is_known_everywhere() -> None:
    """A token of the users service is good in each of them."""
    token = TokenSigner(KEY, issuer="users").user_token(7, "admin", lifetime_seconds=60, must_change_password=True)
    principal = TokenVerifier(KEY, audience="orders").verify(token)
    assert (principal.user_id, principal.role, principal.must_change_password) == (7, "admin", True)


def test_a_service_is_known_where_it_was_sent() -> None:
    """A service's token opens the one peer it names, for the user it names."""
    token = TokenSigner(KEY, issuer="orders").service_token("inventory", acting_for=7)
    assert TokenVerifier(KEY, audience="inventory").verify(token).role == "service"
    with pytest.raises(InvalidToken, match="another service"):
        TokenVerifier(KEY, audience="users").verify(token)


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "role", "iat", "nbf", "exp", "jti"])
def test_every_claim_is_required(missing: str) -> None:
    """python-jose passes a token that lacks what it was not asked for; we do not."""
    token = jwt.encode(claims(**{missing: None}), KEY)
    with pytest.raises(InvalidToken):
        TokenVerifier(KEY, audience="orders").verify(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": timedelta(seconds=-10)},
        {"nbf": timedelta(minutes=10)},
        {"iat": timedelta(minutes=10)},
        {"aud": ["microdemo", "orders"]},
        {"sub": "seven"},
        {"sub": "-1"},
        {"sub": str(2**63)},
        {"role": "root"},
        {"role": "service"},
        {"iss": "orders"},
        {"iss": "orders", "role": "service", "aud": "orders", "exp": timedelta(hours=1)},
    ],
    ids=str,
)
def test_a_claim_out_of_line_is_refused(changes: dict[str, object]) -> None:
    """Wrong times, audiences and subjects, and an issuer that says what is not its to say."""
    at = {
        name: int(time.time() + value.total_seconds()) if isinstance(value, timedelta) else value
        for name, value in changes.items()
    }
    with pytest.raises(InvalidToken):
        TokenVerifier(KEY, audience="orders").verify(jwt.encode(claims(**at), KEY))


def test_another_algorithm_is_refused_though_the_signature_fits() -> None:
    """The token does not choose how it is checked."""
    with pytest.raises(InvalidToken):
        TokenVerifier(KEY, audience="orders").verify(jwt.encode(claims(), KEY, algorithm="HS512"))


def test_a_remembered_token_still_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remembering spares the signature, not the clock."""
    verifier = TokenVerifier(KEY, audience="orders")
    token = jwt.encode(claims(), KEY)
    verifier.verify(token)
    verifier.verify(token)
    later = time.time() + 120
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(InvalidToken, match="expired"):
        verifier.verify(token)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest token is forgotten, never refused."""
    monkeypatch.setattr(module, "_REMEMBERED_TOKENS", 2)
    verifier = TokenVerifier(KEY, audience="orders")
    tokens = [jwt.encode(claims(jti=str(number)), KEY) for number in range(5)]
    for token in tokens:
        verifier.verify(token)
    assert len(verifier._verified) == 2
    assert verifier.verify(tokens[0]).token_id == "0"


def test_ownership() -> None:
    """One's own things, anybody's as an admin, nothing by role alone as a service."""

    def principal(role: str) -> Principal:
        return Principal(7, role, "users", "id", 0)  # type: ignore[arg-type]  # parametrised by text

    assert principal("user").may_act_for(7)
    assert not principal("user").may_act_for(8)
    assert principal("admin").may_act_for(8)
    assert not principal("service").may_act_for(7)
