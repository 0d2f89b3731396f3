"""Leaks: reasoning that names what the policy will not have.

Three kinds: a hint ("candidate region 2"), a plan ("the plan says"), and the gold answer before anything showed it.
A phrase that the question or a search result uses first is no leak. Coordinates in text are the export's business.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from gog.schemas import AnswerType, Message, Seed, StopReason, Trajectory
from gog.transforms.verify.normalise import contains, normalise, unspaced, visible

_REGION: Final = r"(?:regions?|box(?:es)?|bounding[- ]box(?:es)?|areas?|crops?|detections?|proposals?)"
_GIVEN: Final = r"(?:regions?|box(?:es)?|bounding[- ]box(?:es)?|detections?|proposals?)"
# All in small letters, as the text is made: no pattern has to ignore case.
_HINT: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?:the|these|those|my|your|provided|given|supplied|region|per|with|by|from)\s+hints?\b"
        r"(?!\s+(?:of|at|that|to|towards?|about|as)\b)",
        r"\bhint\s*(?:#|no\.?|number)?\s*\d+\b|\bhinted\s+(?:at\s+by|regions?|box(?:es)?|areas?)\b",
        rf"\b(?:candidate|proposed|suggested|provided|supplied|listed|pre-?selected|given|detected)\s+{_REGION}\b",
        r"\b(?:proposal|detection)\s*(?:#|no\.?|number)?\s*\d+\b",
        r"\bregions?\s*(?:#|no\.?|number)?\s*[(\[]?\d+\b",
        rf"\b(?:list|set)\s+of\s+(?:\w+\s+)?(?:{_REGION}|hints)\b",
        r"\bregion\s+(?:list|proposals?|hints?)\b",
        r"\b(?:object\s+)?detector(?:'s)?\s+(?:found|finds?|says?|said|suggests?|suggested|proposes?|proposed|marked|"
        r"marks?|gave|gives|shows?|showed|listed|lists|box(?:es)?|regions?|output)\b",
        rf"\b{_REGION}\s+(?:that\s+|which\s+)?(?:a|the)\s+detector\b",
        rf"\b(?:first|second|third|fourth|fifth|last|next)\s+{_REGION}\s+(?:in|on|of|from)\s+(?:the|my|your)\s+list\b",
        rf"\b{_GIVEN}\s+(?:(?:that|which)\s+)?(?:(?:were|was|are)\s+)?(?:given|provided|listed|supplied|suggested|proposed)\b",
        rf"\b{_GIVEN}\s+(?:that\s+|which\s+)?i\s+(?:was|am|have\s+been)\s+(?:given|told|shown|provided)\b",
        rf"\b{_GIVEN}\s+above\b(?!\s+(?:the|a|an|it|its|this|that|these|and|all)\b)",
        r"\bbox(?:es)?\s*(?:#|no\.?|number)?\s*\d+\b",
        # German, Spanish, French
        r"\b(?:laut|nach|gemäß|wie)\s+(?:\w+\s+)?hinweis(?:e|en)?\b|\b(?:der|dem|den|die)\s+hinweise?n?\s+(?:sagt|nach|zufolge|nennt)",
        r"\b(?:der|des)\s+detektors?\s+(?:zeigt|fand|findet|sagt|meldet|schlägt|gibt|hat|nennt)|\b(?:vor)?geschlagenen?\s+(?:region|bereich|box|ausschnitt)\w*|\bvorgegebenen?\s+(?:region|bereich|box)\w*",
        r"\b(?:según|siguiendo|como\s+dice)\s+(?:la|las|el|los)\s+(?:pistas?|indicaci[oó]n(?:es)?|sugerencias?)\b"
        r"|\bel\s+detector\s+(?:encontr|halló|muestra|mostr|dice|dijo|señal|propon|propuso|marc|indic|da\b|dio\b)",
        r"\b(?:regi[oó]n(?:es)?|cajas?|recuadros?)\s+(?:sugerid|propuest|proporcionad|dad|indicad)[oa]s?\b",
        r"\b(?:selon|d['’]après|suivant)\s+(?:l['’]|les?\s+|la\s+)indices?\b"
        r"|\ble\s+détecteur\s+(?:montre|a\b|trouve|dit|signale|propose|donne|indique)",
        r"\b(?:régions?|boîtes?|zones?)\s+(?:suggérée?s?|proposée?s?|fournie?s?|données?|indiquée?s?)\b",
        # Chinese, Japanese, Arabic
        r"(?:根据|按照?|依照)提示|提示(?:说|中|里|显示|给出|所)|检测器|檢測器|候选(?:区域|框)|候選(?:區域|框)|第\s*[\d一二三四五六七八九十]+\s*个?(?:框|区域|候选)|(?:给定|提供|建议)的?(?:区域|框)",
        r"ヒント(?:によ|では|に従|から)|検出器|候補(?:領域|ボックス)|(?:与えられた|提案された|指定された)(?:領域|ボックス|枠)",
        r"(?:حسب|وفق(?:ا|اً)?|بحسب)\s+(?:ال)?(?:تلميح|إشارة)|التلميح|الكاشف|المنطقة\s+المقترحة|المربع\s+المقترح",
    )
)
_PLAN: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?:the|this|that|provided|given)\s+(?:plan|note)\s+(?:says?|said|requires?|asks?|tells?|calls?\s+for|wants?|"
        r"states?|instructs?|demands?|dictates?|expects?)\b",
        r"\b(?:according\s+to|following|per|as\s+per|in\s+line\s+with)\s+(?:the|this|that|given)\s+(?:plan|note|instructions?)\b",
        r"\bas\s+(?:i\s+(?:was|am)\s+|i've\s+been\s+)?(?:instructed|told|directed)\b",
        r"\bi(?:\s+am|'m|\s+was|\s+have\s+been|'ve\s+been)\s+(?:told|instructed|supposed|directed)\s+to\b",
        r"\b(?:the|my)\s+instructions?\s+(?:says?|said|tells?|told|requires?|asks?|wants?|states?)\b",
        r"\bstep\s+\d+\s+of\s+(?:the|my)\s+plan\b",
        r"\b(?:gold|golden|ground[- ]?truth|reference|expected|provided)\s+answer\b",
        r"\bground[- ]truth\b|\banswer\s+key\b|\bthe\s+accepted\s+answers?\b",
        r"\b(?:laut|nach|gemäß)\s+(?:dem\s+)?plan\b|\bder\s+plan\s+(?:sagt|verlangt|sieht)|\bmir\s+wurde\s+gesagt\b|\bmusterlös",
        r"\bsegún\s+el\s+plan\b|\bel\s+plan\s+(?:dice|pide|indica)|\bse\s+me\s+(?:ha\s+)?(?:dijo|dicho|indicado|pidió|pedido)\b",
        r"\brespuesta\s+(?:de\s+referencia|esperada|aceptada)\b|\bréponse\s+(?:de\s+référence|attendue|acceptée)\b",
        r"\bselon\s+le\s+plan\b|\ble\s+plan\s+(?:dit|demande|indique)|\bon\s+m['’]a\s+(?:dit|demandé)\b",
        r"(?:按照?|根据|依照|遵循)(?:该|这个|给定的?|上述)?(?:计划|計劃|指示|说明)|计划(?:说|要求)|标准答案|参考答案",
        r"計画(?:によ|に従|では|どおり)|指示(?:によ|に従|どおり)|模範解答",
        r"(?:حسب|وفق(?:ا|اً)?)\s+(?:ال)?(?:خطة|تعليمات)|الخطة\s+تقول|الإجابة\s+(?:المرجعية|المتوقعة)",
    )
)
_COMMON: Final = frozenset(
    """red orange yellow green blue purple violet pink brown black white grey gray gold silver left right top bottom
    centre center middle north south east west up down front back male female man woman men women boy girl person
    people day night summer winter spring autumn small large big round square circle star cross wood metal
    glass water yes no true false none""".split()  # noqa: SIM905
)


def leaks(trajectory: Trajectory, seed: Seed) -> tuple[str, ...]:
    """What leaked, as `turn N: kind: the words`; empty when nothing did.

    All assistant turns are searched for hints and plans, the turns before the final one for the gold answer.
    """
    named: list[str] = []
    golds = leakable(seed)
    for turn, (words, shown, last) in enumerate(told_turns(trajectory, seed)):
        named += [f"turn {turn}: {what}" for what in _phrases(words, shown)]
        if golds and not last:
            named += [f"turn {turn}: gold: {gold}" for gold in _named_early(words, shown, golds)]
    return tuple(dict.fromkeys(named))


def told_turns(trajectory: Trajectory, seed: Seed) -> Iterator[tuple[str, str, bool]]:
    """Of each turn of the model what it says, what was shown before it, and whether it is the one that answered."""
    shown, last = seed.question, _final_turn(trajectory)
    for position, message in enumerate(trajectory.messages):
        if message.role == "tool":
            shown = f"{shown}\n{message.text}"
        if message.role == "assistant":
            yield _said(message), shown, position == last


def _said(message: Message) -> str:
    return f"{message.reasoning_content or ''}\n{message.text}".strip()


def _final_turn(trajectory: Trajectory) -> int:
    """Position of the turn that answered, or -1."""
    if trajectory.stop is not StopReason.ANSWERED:
        return -1
    turns = [position for position, message in enumerate(trajectory.messages) if message.role == "assistant"]
    return turns[-1] if turns else -1


def _phrases(said: str, shown: str) -> list[str]:
    """Phrases of hints and plans; one that was shown before is somebody else's word."""
    said, known = (" ".join(visible(text).lower().split()) for text in (said, shown))
    phrases = []
    for kind, patterns in (("hint", _HINT), ("plan", _PLAN)):
        for pattern in patterns:
            for match in pattern.finditer(said):
                if match[0] not in known:
                    phrases.append(f"{kind}: {match[0]}")
                    break
    return phrases


def _named_early(words: str, shown: str, golds: Iterable[str]) -> list[str]:
    """Accepted forms that the text names although none of them has been shown yet; the longest one stands for all."""
    text = normalise(words)
    named = [gold for gold in golds if contains(text, gold)]
    if not named:
        return []
    before = normalise(shown)
    if any(contains(before, gold) for gold in golds):
        return []
    return [max(named, key=lambda gold: (len(gold), gold))]


def leakable(seed: Seed) -> tuple[str, ...]:
    """Accepted forms (normalised) whose naming gives the answer away.

    Left out, because they stand in reasoning without being an answer: yes and no, numbers under 1,000, common words
    (colours, directions), forms of one or two letters, and forms that the question itself contains.
    """
    if seed.answer_type is AnswerType.YES_NO:
        return ()
    question = normalise(seed.question)
    forms = dict.fromkeys(normalise(form) for form in seed.answers)
    number = seed.answer_type is AnswerType.NUMBER
    return tuple(form for form in forms if _telling(form, number) and not contains(question, form))


def _telling(form: str, number: bool) -> bool:
    if form in _COMMON:
        return False
    if number or not any(char.isalpha() for char in form):
        return sum(char.isdigit() for char in form) >= 4
    return len(form) >= (2 if unspaced(form) else 3)
