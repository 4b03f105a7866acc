"""AuthorizationKeys: both notations are one key, hashes are salted and slow, nothing damaged is anybody's (T1, T4)."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server import authorization_key
from ocpp_server.authorization_key import canonical, check_strength, hash_key, is_key, make_key

HEX = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
HASH_OF_HEX = hash_key(HEX)
PASSWORD = "correct horse: battery"
NAME, N, R, P, SALT, DIGEST = HASH_OF_HEX.split("$")


@pytest.mark.parametrize("key", [HEX, HEX.upper(), HEX.encode(), bytes.fromhex(HEX)])
def test_hex_digits_and_the_bytes_they_stand_for_are_one_key(key: str | bytes) -> None:
    """A01: it is given as hex digits; OCPP-J §6.2 shows raw bytes in the header. In either case of letters."""
    assert is_key(key, HASH_OF_HEX)


@pytest.mark.parametrize(
    "key", ["", HEX[:-1], HEX[:-2], HEX + "00", bytes.fromhex(HEX) + b"\0", f" {HEX}", f"{HEX}\n", b"\0" * 20]
)
def test_any_other_key_is_wrong(key: str | bytes) -> None:
    """Nothing is cut, padded or stripped; HMAC, of which scrypt is made, pads with NULs."""
    assert not is_key(key, HASH_OF_HEX)


@pytest.mark.parametrize(
    ("text", "is_hex"),
    [
        ("ab" * 16, True),
        ("AB" * 32, True),
        ("ab" * 15, False),
        ("a" * 33, False),
        ("ab" * 33, False),
        ("ag" * 20, False),
    ],
)
def test_what_counts_as_hex_digits(text: str, is_hex: bool) -> None:
    """16 to 32 bytes; any other text is a password, in which case counts."""
    assert canonical(text) == (bytes.fromhex(text) if is_hex else text.encode())


@given(st.binary(min_size=1, max_size=40))
def test_every_key_of_bytes_is_itself(key: bytes) -> None:
    """Also bytes that are no text: websockets hands them on as surrogates."""
    assert canonical(key.decode("utf-8", "surrogateescape")) == canonical(key)
    if len(key) < 32:
        assert canonical(key) == key


@given(st.binary(min_size=16, max_size=31), st.binary(min_size=16, max_size=31))
def test_two_keys_are_never_one(one: bytes, other: bytes) -> None:
    """Reading both notations merges no two keys of bytes."""
    assert (canonical(one) == canonical(other)) == (one == other)
    assert canonical(one.hex()) == one


def test_a_password_is_compared_letter_by_letter() -> None:
    """Only hex digits are the same in either case."""
    password_hash = hash_key(PASSWORD)

    assert is_key(PASSWORD, password_hash)
    assert is_key(PASSWORD.encode(), password_hash)
    assert not is_key(PASSWORD.upper(), password_hash)


def test_the_same_key_has_another_hash_each_time() -> None:
    """Salted: two charge points with one key do not show it."""
    assert hash_key(HEX) != HASH_OF_HEX


def test_a_hash_costs_what_was_chosen_and_shows_nothing_of_the_key() -> None:
    """scrypt with 16 MiB; a cheaper one would be guessed."""
    assert (NAME, N, R, P) == ("scrypt", "16384", "8", "1")
    assert HEX not in HASH_OF_HEX


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "$",
        "scrypt",
        HEX,
        HASH_OF_HEX + "$",
        HASH_OF_HEX[:-9],
        HASH_OF_HEX.replace("scrypt", "bcrypt"),
        *(f"{NAME}${n}${R}${P}${SALT}${DIGEST}" for n in ("", "0", "-1", "3", "x", "1.5", str(2**18), "9" * 30)),
        *(f"{NAME}${N}${r}${P}${SALT}${DIGEST}" for r in ("", "0", "-8", "9" * 10, "9" * 30)),
        *(f"{NAME}${N}${R}${p}${SALT}${DIGEST}" for p in ("", "0", "-1", "9" * 8, "9" * 30)),
        *(f"{NAME}${N}${R}${P}${salt}${DIGEST}" for salt in ("", "A", "é", DIGEST)),
        *(f"{NAME}${N}${R}${P}${SALT}${digest}" for digest in ("", "A", "AA==", "é", SALT)),
    ],
    ids=lambda damaged: f"{len(damaged)} signs",
)
def test_a_damaged_hash_is_of_no_key(damaged: str) -> None:
    """It refuses; it neither raises nor lets anybody in, and takes no memory that is not there."""
    assert not is_key(HEX, damaged)
    assert not is_key("", damaged)


def test_hashes_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """T4: how far a guess is right must not show in the time."""
    compared: list[tuple[int, int]] = []
    constant_time = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return constant_time(one, other)

    monkeypatch.setattr(authorization_key.hmac, "compare_digest", compare)

    assert is_key(HEX, HASH_OF_HEX)
    assert compared == [(32, 32)]


def test_a_new_key_is_twenty_random_bytes_in_hex() -> None:
    """A00.FR.205: what ChangeConfiguration of AuthorizationKey takes, at most 40 characters."""
    keys = {make_key() for _ in range(100)}

    assert len(keys) == 100
    assert {len(bytes.fromhex(key)) for key in keys} == {20}
    for key in keys:
        check_strength(key)


@pytest.mark.parametrize("key", ["a" * 16, "a" * 64, PASSWORD, HEX])
def test_a_key_that_is_long_enough_is_taken(key: str) -> None:
    """Letters, digits, signs and blanks."""
    check_strength(key)


@pytest.mark.parametrize(
    "key", ["", "a" * 15, "a" * 65, "schlüssel-schlüssel", "sixteen letters\n", "sixteen\0letters!"]
)
def test_a_key_that_is_short_long_or_no_plain_text_is_not(key: str) -> None:
    """What a charge point cannot be given, or anybody can guess; the message does not repeat it."""
    with pytest.raises(ValueError, match="16 to 64") as refusal:
        check_strength(key)

    assert not key or key not in str(refusal.value)
