"""What may be a leak, and what no rule can tell of: where it stands, for a judge to decide.

Two kinds. A turn before any evidence that may name the answer in a form which is not read whole: inflected, misspelt,
abbreviated, or in another script than its accepted forms. And a sentence that speaks of something handed over (a box, a
plan, a clue) together with a word of handing over, in no wording that `leaks` knows. Both are meant to be cheap and to
see too much; what they see costs a question.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final

from gog.schemas import AnswerType, Seed, Trajectory
from gog.transforms.verify.leaks import leakable, told_turns
from gog.transforms.verify.normalise import contains, fold, normalise, unspaced, visible

MOST: Final = 6
"""Places that are shown to a judge."""
_AROUND: Final = 400
"""Characters of such a place, at most."""
_TOKENS: Final = 4_000
"""Different words of a turn that are looked at."""
_NEAR: Final = 0.8

# A star is any ending, an underscore a space; English, German, Spanish, French, Chinese, Japanese, Arabic.
_TOLD: Final = """
    hint hints clue clues pointer pointers my_notes my_input my_context overview saliency whoever arranged exercise
    setup the_user precomputed suggestion* proposal* proposer candidate* annotat* bounding rectangle* detector*
    coordinates pre_* preselected script brief briefed briefing storyline rubric prompt* task instruct* guideline*
    told asked_to meant_to supposed required_to expect expects expected pretend* reveal beforehand in_advance to_me
    for_me i_was_* i_have_been i_am_to provided supplied handed recommended gold_label gold_answer ground_truth
    answer_sheet answer_key solution reference target_answer_answer
    hinweis* fur_mich ubersicht abgesprochen ubung auftrag fertige* tipp* vorschl* vorgeschlagen* vorgegeben*
    vorgabe* vorgaben vorauswahl* vorab markier* kandidat* detektor* koordinaten drehbuch anweisung* angewiesen
    anleitung* aufgabe* verlangt gebeten erwartet* losung* musterl* referenz* mir man_gab erhalten bekommen
    mitgeteilt*
    para_mi resumen acordado ejercicio encargo ya_hechos pista pistas indicacion* indico sugerencia* preseleccion*
    marcaron me_dieron me_pasaron me_han me_pidieron me_ordenaron me_dijeron se_me candidat* coordenadas guion
    consigna* instruccion* enunciado tarea solucion esperad* referencia detector
    pour_moi apercu convenu exercice mission deja_faits indice indices indication* preselection* candidats
    coordonnees scenario consigne* instruction* enonce tache solution attendu* reference on_m on_me detecteur
    替我 概览 约定 练习 设定 现成 提示 线索 線索 建议 建議 候选 候選 坐标 座標 标记 标注 预先 事先 给我 给的 給我
    别人 系统 任务 剧本 要求 说明 指令 指示 评分 标准答案 早就知道 已经知道 装作 假装 收到 拿到 得到的 检测 檢測
    くれて くれた 一覧 予定どおり 演習 設定 既に ヒント 手がかり 枠 候補 座標 提案 用意され 教えられ 渡され 示され
    言われ 知らされ もらった 与えられ あらかじめ 事前 前もって システム 台本 課題 指示 手順 求められ 採点 期待 模範
    前から知 ふりを 印の付 検出
    من_أجلي الملخص اتفقنا التمرين التكليف الجاهزة تلميح اقتراح مرشح إحداثي مسبق السيناريو المهمة تعليمات طلبوا طلب
    قيل_لي سلم_لي لي_علامة أعط معط المتوقع الحل_ النظام"""
"""What speaks of a task with hints, wherever it stands."""
_THINGS: Final = """
    box boxes region regions area areas spot spots crop crops place places location* frame frames outline plan plans
    note notes step steps list answer answers key label
    bereich* kasten kastens rahmen ausschnitt* liste plan plans antwort* ergebnis stelle stellen box
    recuadro* caja cajas region* zona zonas area lista plan respuesta sitio
    cadre cadres boite boites region* zone zones liste plan reponse endroit
    框 区域 區域 位置 计划 計劃 答案
    領域 ボックス 箱 部分 場所 計画 答え 解答 正解
    الإشار منطقة المنطقة المناطق مربع القائمة خطة النص الإجابة الجواب"""
"""What may be handed over, and stands in any picture,"""
_GIVING: Final = """
    given suggested proposed flagged marked marks highlighted listed drawn shown tells says asks wants requires
    prescribed according_to following follow per the_system they someone somebody from_me i_got i_received
    already_knew number
    gegeben* genannt* mitgeliefert* aus_der_liste laut gemass zufolge meine* meiner soll fuhrt lautet sagt sieht_*
    nummer
    dado dada dados dadas proporcionad* propuest* sugerid* senalar* senalad* marcad* recibi* me segun siguiendo
    conforme sistema numero de_la_lista mis pide
    donne* fourni* suggere* propose* indique* signale* recu recue recus recues m_a me selon suivant conformement
    d_avance systeme numero de_la_liste impose* mes demande
    给出 给定 提供 标出 告诉 让我 根据 按 遵照 依照 相符 第
    指定 よれば によると 従って とおり どおり には ことになって では 番目
    أشاروا حدد حسب وفق تقول يقول تطلب المرجع في_القائمة المعط المقترح الثاني تلقي"""
"""with words of handing over."""


def _any_of(vocabulary: str) -> re.Pattern[str]:
    """A pattern of the words, as `fold` leaves them: whole ones in Latin script. Arabic joins its article to them."""
    words = [fold(word) for word in vocabulary.split()]
    whole = [word.replace("*", r"\w*") for word in words if word[0].isascii()]
    parts = [word for word in words if not word[0].isascii()]
    return re.compile(rf"\b(?:{'|'.join(whole)})\b|{'|'.join(parts)}".replace("_", " "))


_TELLING, _THING, _GIVEN = map(_any_of, (_TOLD, _THINGS, _GIVING))
_SENTENCE: Final = re.compile(r"[^.!?。！？؟\n]+")
_SPEECH: Final = re.compile(r"[^\w\s.!?。！？؟]")
_ACRONYM: Final = re.compile(r"\b(?:[A-Z]\.?){2,6}(?![\w.])")
_CAPITALS: Final = re.compile(r"\b[A-Z]\w+(?:[ -](?:(?:of|the|and|de|la|du|for)[ -]){0,2}[A-Z]\w+){1,5}")
_EAST: Final = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HALFWIDTH", "HANGUL"})
"""Scripts that stand in one sentence."""
_SMALL: Final = frozenset(
    {"of", "the", "and", "de", "la", "le", "du", "des", "der", "die", "das", "und", "for", "y", "et"}
)


def suspicions(trajectory: Trajectory, seed: Seed) -> tuple[str, ...]:
    """Places of a trajectory's reasoning that may leak, as they stand there; empty where nothing is open.

    For a trajectory of which `leaks` finds nothing: what a rule has seen needs no judge.
    """
    places: list[str] = []
    golds = leakable(seed)
    for words, shown, last in told_turns(trajectory, seed):
        places += _handed_over(words)
        if not last and (place := _may_name(words, shown, golds, seed)):
            places.append(place)
    return tuple(dict.fromkeys(places))[:MOST]


def _handed_over(words: str) -> Iterator[str]:
    """Sentences that speak of something that was handed over."""
    for sentence in _SENTENCE.finditer(words):
        said = " ".join(_SPEECH.sub(" ", fold(sentence[0])).split())
        if _TELLING.search(said) or (_THING.search(said) and _GIVEN.search(said)):
            yield sentence[0].strip()[:_AROUND]


def _may_name(words: str, shown: str, golds: Sequence[str], seed: Seed) -> str:
    """A place that may name the answer in a form that is not read whole, before anything showed it."""
    said, before = normalise(words), normalise(shown)
    if any(contains(before, normalise(form)) for form in seed.answers):
        return ""
    place = (
        _alike(said, before, golds)
        or _abbreviated(visible(words), visible(shown), seed)
        or (words.strip() if _other_script(said, golds) else "")
    )
    return _around(words, place)


def _alike(said: str, before: str, golds: Iterable[str]) -> str:
    """A word that is nearly the longest one of a form, by inflection or spelling, and was not shown."""
    known = set(before.split())
    tokens = [token for token in dict.fromkeys(said.split()) if token not in known][:_TOKENS]
    for gold in golds:
        if unspaced(gold):
            part = gold[: max(2, math.ceil(len(gold) / 2))]
            if len(gold) >= 4 and part in said.replace(" ", "") and part not in before.replace(" ", ""):
                return part
            continue
        word = max(gold.split(), key=len)
        if len(word) >= 4 and word.isalpha():
            for token in tokens:
                if token[:2] == word[:2] and _inflects(token, word):
                    return token
    return ""


def _inflects(token: str, word: str) -> bool:
    stem = word[: max(4, math.ceil(0.75 * len(word)))]
    if token.startswith(stem):
        return True
    near = token[: len(word)]
    return len(word) >= 5 and len(near) >= len(word) - 1 and SequenceMatcher(None, near, word).ratio() >= _NEAR


def _abbreviated(said: str, before: str, seed: Seed) -> str:
    """The first letters of a form of several words, or words whose first letters are a form."""
    if seed.answer_type is not AnswerType.STRING:
        return ""
    short = {_initials(form) for form in seed.answers} - {""}
    for found in _ACRONYM.finditer(said):
        if found[0].replace(".", "") in short and found[0] not in before:
            return found[0]
    long = {form.replace(".", "") for form in seed.answers if _ACRONYM.fullmatch(form)}
    if long:
        for found in _CAPITALS.finditer(said):
            if any(form in _initials(found[0]) for form in long) and found[0] not in before:
                return found[0]
    return ""


def _initials(form: str) -> str:
    """UK for United Kingdom; empty for a form of one word."""
    words = [word for word in re.split(r"[\s-]+", visible(form)) if word.lower() not in _SMALL]
    return "".join(word[0] for word in words if word[:1].isupper()) if len(words) > 1 else ""


def _other_script(said: str, golds: Iterable[str]) -> bool:
    """Whether the words are in a script in which no accepted form is."""
    forms, scripts = {script for gold in golds for script in _scripts(gold)}, _scripts(said)
    return bool(forms and scripts) and forms.isdisjoint(scripts)


def _scripts(text: str) -> set[str]:
    """The scripts of its letters, by the first word of their Unicode names."""
    letters = {char for char in text[:_TOKENS] if char.isalpha()}
    names = {unicodedata.name(char, "").split(" ")[0] for char in letters}
    return names - _EAST | ({"EAST"} if names & _EAST else set())


def _around(words: str, place: str) -> str:
    """The place with what stands around it."""
    if not place:
        return ""
    at = max(0, words.casefold().find(place.casefold()))
    return words[max(0, at - _AROUND // 2) : at + _AROUND // 2].strip()
