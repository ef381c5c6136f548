"""Tokens are read strictly, found only whole, and shown to nobody."""

import pytest

from api.tokens import (
    DEFAULT_SCOPES,
    TOKEN_CHARACTERS_MIN,
    TOKENS_MAX,
    Scope,
    TokenFormError,
    find_token,
    parse_tokens,
)

SECRET = "hunter2-hunter2-hunter2"


@pytest.mark.parametrize(
    "text, name, scopes",
    [
        (SECRET, "default", DEFAULT_SCOPES),
        (f"shop:{SECRET}", "shop", DEFAULT_SCOPES),
        (f"shop:{SECRET}:read", "shop", frozenset({Scope.READ})),
        (f"shop:{SECRET}:read+cover", "shop", frozenset({Scope.READ, Scope.COVER})),
        (f"shop:{SECRET}: read + approve ", "shop", frozenset({Scope.READ, Scope.APPROVE})),
        (f"s.h-o_p1:{SECRET}:request+request", "s.h-o_p1", frozenset({Scope.REQUEST})),
        ("shop:" + "x" * TOKEN_CHARACTERS_MIN, "shop", DEFAULT_SCOPES),
    ],
)
def test_a_token_has_a_name_and_scopes(text: str, name: str, scopes: frozenset[Scope]) -> None:
    [token] = parse_tokens([text])
    assert (token.name, token.scopes, token.actor) == (name, scopes, f"api:{name}")
    assert SECRET not in f"{token!r} {token}"


def test_one_name_may_have_two_tokens_while_callers_change_over() -> None:
    tokens = parse_tokens([f"shop:{SECRET}-old", f"shop:{SECRET}-new"])
    assert find_token(tokens, f"Bearer {SECRET}-old") == tokens[0]
    assert find_token(tokens, f"Bearer {SECRET}-new") == tokens[1]
    assert find_token(tokens, f"Bearer {SECRET}") is None
    assert find_token((), f"Bearer {SECRET}") is None


@pytest.mark.parametrize(
    "texts, says",
    [
        ([f"shop:{SECRET}:read:write"], "number 1 has more than two colons"),
        ([f"shop:{SECRET}:write"], "a scope that does not exist; there are read, request"),
        ([f"shop:{SECRET}:"], "a scope that does not exist"),
        ([f"shop:{SECRET}:read+"], "a scope that does not exist"),
        (["shop:hunter2"], r"number 1 \(shop\) needs a token of at least 12"),
        (["hunter2"], "at least 12"),
        (["shop:"], "at least 12"),
        (["x" * (TOKEN_CHARACTERS_MIN - 1)], "openssl rand"),
        (["shop:hunter2 hunter2 hunter2"], "printable ASCII"),
        (["shop:hünter2-hünter2-hünter2"], "printable ASCII"),
        ([f":{SECRET}"], "number 1 has a name"),
        ([f"the shop:{SECRET}"], "number 1 has a name"),
        ([f"read:{SECRET}", f"shop:{SECRET}"], "number 2 is the same token"),
        ([f"{SECRET}{n}" for n in range(TOKENS_MAX + 1)], "256 are possible"),
    ],
)
def test_what_is_no_token_is_named_and_not_repeated(texts: list[str], says: str) -> None:
    with pytest.raises(TokenFormError, match=says) as caught:
        parse_tokens(texts)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
