"""How the planner puts its thoughts: several phrasings a situation.

The texts speak as somebody who sees only the picture, the question and the results: they name no hint and no
coordinate, and `{name}` and `{fact}` only ever hold what a result has shown.
"""

from collections.abc import Mapping

from gog.schemas import Reflection
from gog.transforms.atlas.planner.chance import Chance

THOUGHTS: Mapping[str, tuple[str, ...]] = {
    "count": (
        "The question only asks for a number. I go through the picture once and count.",
        "Nothing has to be looked up here: I count what I see, leaving out the shapes that are no flags.",
        "This can be answered by looking. I count row by row.",
    ),
    "guess": (
        "I think I know this one without looking it up.",
        "This looks familiar enough to answer right away.",
        "I am fairly sure already, so I answer from memory.",
    ),
    "unsure": (
        "I cannot tell from the picture alone. This is my best guess.",
        "I do not know this for certain; I give the likeliest answer that comes to mind.",
        "Without looking it up I can only guess.",
    ),
    "glance": (
        "One thing fills the picture, so I search with the whole image.",
        "The whole image shows what I need to identify: a glance should do.",
        "There is just one flag here. Searching with the entire image is the shortest way.",
    ),
    "glance_first": (
        "Several things are in the picture. I first try the image as a whole.",
        "Let me see what the whole image brings before looking closer.",
        "I start with a glance at everything.",
    ),
    "gaze": (
        "The question is about {it}. I look closer at it.",
        "Several things are in view, and only {it} matters. I take a closer look there.",
        "The picture is crowded; I focus on {it}.",
        "To answer I have to know what {it} is, so I look right there.",
    ),
    "text_first": (
        "I cannot look closer, so I try a text search with the question itself.",
        "Perhaps the text alone leads somewhere: I search for what the question asks.",
    ),
    "by_heart": (
        "I know {it} at sight: {name}. What I need is the {what}, so I search for that in text.",
        "That design is famous, {it} belongs to {name}. Only the {what} is missing; a text search will do.",
        "No need to identify {it}, it is plainly that of {name}. I look up the {what}.",
    ),
    "answer_name": (
        "The match is clear: {name}.",
        "The best result fits what I looked at very well, so it is {name}.",
        "This settles it: {it} belongs to {name}.",
        "A close match at the right place. The country is {name}.",
    ),
    "check_name": (
        "It should be {name}. I check that in text before I answer.",
        "The match says {name}; a quick text search confirms or refutes it.",
    ),
    "need_fact": (
        "So this is {name}. What is missing is the {what}, which a picture cannot tell; I search for it.",
        "The match is clear, it is {name}. Now I look up the {what}.",
        "{name} it is. The question asks for the {what}, so a text search comes next.",
    ),
    "answer_fact": (
        "The text on {name} states it: {fact}.",
        "The passage gives the {what} of {name}: {fact}.",
        "That is what I needed. For {name} it says {fact}.",
    ),
    "confirmed": (
        "The text is about {name} too, which fits what I saw.",
        "This agrees with the match before: {name}.",
    ),
    "recall_fact": (
        "It is {name}. I believe I remember the {what}, so I answer without another search.",
        "So it is {name}, and the {what} I think I know.",
    ),
    "no_match": (
        "Nothing among the results resembles it closely. That was hardly a flag at all; I try another place.",
        "The matches are poor, so this was not the right thing. I look elsewhere for {it}.",
        "None of this fits. What I looked at is probably just decoration; I move on to {it}.",
    ),
    "wrong_place": (
        "That is a clear match, but I looked at another flag. The question is about {it}, so I look there.",
        "The result is for a different flag in the picture, not for {it}. I correct my focus.",
        "I notice that this was not {it}. It stands elsewhere, and I look there now.",
    ),
    "sloppy": (
        "I caught only a part of it. I frame {it} better and try again.",
        "My view was cut off, which explains the weak match. I look again with {it} fully in view.",
        "The crop was off. I look at {it} again, with all of it in view.",
    ),
    "glance_missed": (
        "The whole image mixes several things, and the results match none of them. I look at {it} alone.",
        "Searching with everything at once does not help. What matters is {it}.",
        "The results are about the picture in general. I need {it} by itself.",
    ),
    "two_alike": (
        "Two candidates are nearly equal. A slightly different view of {it} may tell them apart.",
        "The first two results are almost the same flag. I look at {it} once more, framed differently.",
    ),
    "so_so": (
        "The match is neither good nor bad. I frame {it} more tightly.",
        "It could be, but the score leaves doubt. Another look at {it} should help.",
    ),
    "choose": (
        "The results are close to each other, but the first fits the colours best: {name}.",
        "It stays a narrow choice; I go with {name}.",
    ),
    "text_again": (
        "The passages do not state it. I search with other words.",
        "This is about something else. I rephrase the search.",
    ),
    "text_guess": (
        "The text does not say it, and I have no better idea where to look. I answer with my best guess.",
        "Not what I needed. I answer as well as I can.",
    ),
    "general_gaze": (
        "The results do not answer the question. I look closer at the most striking part of the picture.",
        "Not what I was after. Something else in the picture may help, so I look there.",
    ),
    "general_text": (
        "Looking closer did not answer it. I search for the question in text.",
        "The pictures do not say it. Perhaps a text does.",
    ),
    "give_up": (
        "I could not find out. I say so rather than invent something.",
        "Nothing that came back answers the question, and I do not know it.",
    ),
    "out_of_turns": (
        "There is no time for another look, so I answer with what I have.",
        "I have to answer now.",
    ),
    "mistake": (
        "My last call was not well-formed. I write it again.",
        "That call did not go through because of how I wrote it; once more, properly.",
    ),
    "repeated": (
        "I had done that already. Something else, then.",
        "That was a repetition, so I do the next thing.",
    ),
    "failed": (
        "The search did not work this time. I try another way.",
        "That tool is not answering; I go on differently.",
    ),
    "planned_gaze": ("I take a closer look at this part of the picture.", "I look closer here to see what it is."),
    "planned_text": ("What is still missing is a fact; I look it up.", "I search for the missing fact in text."),
    "planned_question": (
        "Perhaps the text alone leads somewhere: I search for what the question asks.",
        "I try a text search with the question itself first.",
    ),
    "planned_guess": (
        "I have a guess what {it} is. A text on that country may confirm it.",
        "{it} looks familiar. I search in text for the country that I have in mind.",
    ),
    "planned_wrong": (
        "The results do not fit what the question asks about. I look at another place.",
        "That was not the thing the question is about. I change my focus.",
    ),
    "planned_useful": ("This fits what the question asks about.", "The match is close enough to go on with."),
    "planned_ambiguous": ("The results leave room for doubt.", "This is not conclusive yet."),
}


def say(situation: str, chance: Chance, judged: Reflection | None = None, **names: str) -> str:
    """A thought for the situation; with `judged` it begins with what the last result was worth."""
    words = {"it": "it", "name": "it", "fact": "it", "what": "fact"} | names
    thought = chance.pick(THOUGHTS[situation])
    for key, value in words.items():
        thought = thought.replace("{" + key + "}", value)
    thought = thought[:1].upper() + thought[1:]
    return f"Evidence: {judged.value.replace('_', ' ')}. {thought}" if judged else thought
