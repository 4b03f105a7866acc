"""What the login pages say, in English and Turkish."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Texts:
    """All of them, in one language."""

    language: str
    sign_in: str
    user: str
    password: str
    wrong: str
    later: str
    """With `{minutes}`."""
    stale: str
    foreign: str
    over: str
    signed_out: str
    no_accounts: str
    """With `{command}`, which is put in as code."""
    sign_out: str
    signed_in_as: str
    """With `{name}`."""
    back: str


ENGLISH = Texts(
    language="en",
    sign_in="Sign in",
    user="User",
    password="Password",  # noqa: S106 - the label of a field
    wrong="User or password is wrong.",
    later="Too many attempts. Try again in {minutes} min.",
    stale="This form was open for too long, or cookies are switched off. Please try again.",
    foreign="This form was sent by another page and was not accepted.",
    over="You were signed out. Please sign in again.",
    signed_out="You are signed out.",
    no_accounts="Nobody can sign in yet: no password was made. On the server: {command}",
    sign_out="Sign out",
    signed_in_as="You are signed in as {name}.",
    back="Back to the dashboard",
)
TURKISH = Texts(
    language="tr",
    sign_in="Oturum aç",
    user="Kullanıcı",
    password="Parola",  # noqa: S106 - the label of a field
    wrong="Kullanıcı veya parola yanlış.",
    later="Çok fazla deneme yapıldı. {minutes} dk sonra yeniden deneyin.",
    stale="Bu form çok uzun süre açık kaldı veya çerezler kapalı. Lütfen yeniden deneyin.",
    foreign="Bu form başka bir sayfadan gönderildi ve kabul edilmedi.",
    over="Oturumunuz sona erdi. Lütfen yeniden oturum açın.",
    signed_out="Oturumunuz kapatıldı.",
    no_accounts="Henüz kimse oturum açamaz: parola oluşturulmadı. Sunucuda: {command}",
    sign_out="Oturumu kapat",
    signed_in_as="{name} olarak oturum açtınız.",
    back="Panele dön",
)
_BY_LANGUAGE = {texts.language: texts for texts in (ENGLISH, TURKISH)}
_MOST_RANGES = 20


def texts_for(accept_language: str) -> Texts:
    """The language that the browser likes most of those we have (RFC 9110 §12.5.4); English else."""
    liked: list[tuple[float, int, Texts]] = []
    for place, part in enumerate(accept_language.split(",")[:_MOST_RANGES]):
        tag, _, weight = part.strip().partition(";")
        texts = _BY_LANGUAGE.get(tag.strip().partition("-")[0].casefold())
        if texts is not None and (quality := _quality(weight)) > 0:
            liked.append((-quality, place, texts))
    return min(liked, key=lambda one: one[:2])[2] if liked else ENGLISH


def _quality(weight: str) -> float:
    _, _, value = weight.partition("q=")
    try:
        return float(value) if value else 1.0
    except ValueError:
        return 0.0
