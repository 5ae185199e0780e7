"""The sentences in which any noun, verb, adjective or adverb can stand, in four families.

A sentence's number is its place here, and its role a hash of its words: new ones come behind, and a word that
changes may move a sentence to another role.

Adjectives stand after a verb, where nearly all of them can. WordNet puts nothing above adjectives and
adverbs, so their sentences name no parent. An adverb of degree ("very") is clumsy wherever a way of doing is
asked for, so most sentences of each family but `scene` speak of the adverb as a word.
"""

NOUNS: dict[str, tuple[str, ...]] = {
    "definition": (
        "{Gloss}: this is what we call {a}.",
        "The word for {gloss} is {x}.",
        "In plain words, {gloss} is {a}.",
        "By definition, {a} is {gloss}.",
        "To define {a}, one first has to say that it is {a_parent}.",
        "In the dictionary, the entry for {x} fills half a page.",
        "The meaning of the word {x} is not hard to explain.",
        "Look up {parent} in the dictionary, and it will send you on to {x}.",
        "{x} (noun): {gloss}.",
        "What is {a}? It is, in short, {gloss}.",
        "A crossword asks for {gloss}, and the solution is {x}.",
        "Children learn early what the noun {x} stands for.",
        "Strictly speaking, only {gloss} deserves to be called {a}.",
        "Before we go any further, let us agree on what we mean by {a}.",
        "Some words, {x} among them, are easier to use than to explain.",
        "{Gloss}. In one word: {x}.",
    ),
    "scene": (
        "Yesterday they talked about {a} all evening.",
        "She closed her eyes and pictured {a}.",
        "On the last page of the notebook someone had written about {a}.",
        "He laughed when his sister compared him to {a}.",
        "For weeks the painter had been looking for a way to paint {a}.",
        "They walked home and hardly spoke, for each was thinking of {the}.",
        "The whole story turns around {a}.",
        "The first thing she noticed was {the}.",
        "{A} was the last thing anyone expected to read about in the morning paper.",
        "When the lights went out, somebody told a joke about {a}.",
        "Without {the}, the evening would have ended differently.",
        "A stranger on the train spoke for an hour of nothing but {the}.",
        "Ten years later, all he remembered of the lecture was {the}.",
        "In the film that won the prize, {the} matters more than any of the actors.",
        "The speaker lost the thread as soon as he came to {the}.",
        "They sold the house and moved away, but {the} stayed on their minds.",
    ),
    "category": (
        "{A} is a kind of {parent}.",
        "Of all the kinds of {parent}, the first that comes to mind is {a}.",
        "Under the heading {parent} you will also find {a}.",
        "One example of {a_parent} is {a}.",
        "In a list of things that count as {parent}, the next entry reads {x}.",
        "They argued over whether {a} counts as {a_parent}, and agreed that it does.",
        "Nobody doubts that {a} is {a_parent}.",
        "The chapter on {parent} ends with a page about {a}.",
        "{A}, like everything else called {parent}, has its place in the catalogue.",
        "Take away {the}, and the group named {parent} is no longer complete.",
        "In the tree of concepts, {x} hangs below {parent}.",
        "If something is {a}, it follows that it is {a_parent}.",
        "Not everything that counts as {parent} is {a}.",
        "Asked to sort her notes, she put {x} into the folder marked {parent}.",
        "What do {the} and other sorts of {parent} have in common?",
        "The word {parent} says less than the word {x}, for it covers more.",
    ),
    "dialogue": (
        '"What do you call this?" he asked. "I call it {a}," she answered.',
        "Question: which word means {gloss}? Answer: {x}.",
        '"Have you ever thought about {a}?" asked the teacher.',
        '"Tell me something about {a}," said the boy, and his grandfather began.',
        "Is {a} a kind of {parent}? Yes, it is.",
        '"Why do you ask me about {the}?" "Because it matters to me."',
        '"Name a kind of {parent}." "{A}, for example."',
        '"Do you mean {a}?" "Yes, that is the word I was looking for."',
        "Imagine {a}, and describe it in three words.",
        "Explain {the} to a child who has never heard of it.",
        "Write one paragraph about {a} without looking anything up.",
        "Never confuse {a} with something that merely resembles it.",
        '"{A}?" she repeated. "That is the last thing I expected."',
        "Please translate the word {x} into French.",
        "Guess what I am thinking of: it is {a_parent}, and its name is {x}.",
        "Do not worry about {the}; ask me again tomorrow.",
    ),
}
VERBS: dict[str, tuple[str, ...]] = {
    "definition": (
        "{Gloss}: that is what it means to {x}.",
        "To {x} is to {gloss}.",
        "In the dictionary, the verb {x} fills half a page.",
        "What it means to {x} is not hard to explain.",
        "Whoever looks up the verb {parent} is sent on to the verb {x}.",
        "The verb for this meaning, to {gloss}, is {x}.",
    ),
    "scene": (
        "Yesterday evening they began to {x}.",
        "She wanted to {x}, but not alone.",
        "There was no time left to {x} before the rain.",
        "He had learned to {x} as a child.",
        "At last all of them were ready to {x}.",
        "In her dream she tried again and again to {x}.",
    ),
    "category": (
        "To {x} is one way to {parent}.",
        "Whoever wants to {parent} may {x}.",
        "Of all the ways to {parent}, the first that comes to mind is to {x}.",
        "Under the heading {parent} you will also find the verb {x}.",
        "Those who {x} can be said to {parent}.",
        "In a list of verbs that mean to {parent}, the next entry reads {x}.",
    ),
    "dialogue": (
        '"What shall we do?" he asked. "We could {x}," she answered.',
        "Question: which verb means to {gloss}? Answer: {x}.",
        '"Do you know how to {x}?" asked the teacher.',
        '"Tell me when to {x}," said the boy, and his grandfather nodded.',
        '"Name a way to {parent}." "To {x}, for example."',
        '"Why would anybody {x}?" "Because there is no other way."',
    ),
}
ADJECTIVES: dict[str, tuple[str, ...]] = {
    "definition": (
        "{Gloss}: the adjective for this is {x}.",
        "{x} (adjective): {gloss}.",
        "What it means to be {x} is not hard to explain.",
        "In the dictionary, the adjective {x} takes up a line or two.",
        "Only what fits this description is {x}: {gloss}.",
        "Look for a word that says this, {gloss}, and you will arrive at {x}.",
    ),
    "scene": (
        "Nobody had expected it to be so {x}.",
        "From the first page to the last, the letter seemed {x}.",
        "By the time they arrived, everything had become {x}.",
        "The town had never been as {x} as it was that summer.",
        "Whether it was {x} or not, they kept it for thirty years.",
        "She remembered her first teacher as kind, clever and {x}.",
    ),
    "category": (
        "Among the adjectives that start with the same letter stands {x}.",
        "There are many qualities that a thing can have, and to be {x} is one of them.",
        "Things can be compared by how {x} they are.",
        "The opposite of {x} is harder to name than one would think.",
        "In a list of words that describe, the next entry reads {x}.",
        "One group holds all that is {x}, the other holds the rest.",
    ),
    "dialogue": (
        '"How would you describe it?" he asked. "As {x}," she answered.',
        "Question: which adjective means this: {gloss}? Answer: {x}.",
        '"Would you call it {x}?" asked the teacher.',
        '"Too {x} for my taste," said the old man, and gave it back.',
        "Name a thing that is {x} and one that is not.",
        '"Is it {x}?" "See for yourself."',
    ),
}
ADVERBS: dict[str, tuple[str, ...]] = {
    "definition": (
        "{Gloss}: the adverb for this is {x}.",
        "{x} (adverb): {gloss}.",
        "What the adverb {x} says is best shown by an example.",
        "In the dictionary, the adverb {x} takes up a line or two.",
        "Whoever means this, {gloss}, can say {x}.",
        "The adverb {x} has a meaning that is not hard to explain.",
    ),
    "scene": (
        "They did it {x}, or so the letter says.",
        "The witness used the word {x} twice and then fell silent.",
        "She worked {x} that winter, and nobody asked her why.",
        "In the margin someone had written {x} in red ink.",
        "They spoke {x} of the years before the war.",
        "The second time they went about it {x}, and it worked.",
    ),
    "category": (
        "Among the adverbs that start with the same letter stands {x}.",
        "There are many ways to do a thing, and one of them is to do it {x}.",
        "In a list of adverbs, the next entry reads {x}.",
        "The adverb {x}, like others of its kind, can change what a whole sentence says.",
        "Some adverbs tell how, some when and some where, and {x} tells one of these.",
        "Leave out {x}, and the sentence has one adverb less.",
    ),
    "dialogue": (
        '"But how was it done?" he asked. "I should say {x}," she answered.',
        "Question: which adverb means this: {gloss}? Answer: {x}.",
        '"Can one really say {x} here?" asked the teacher.',
        "Write a sentence in which the adverb {x} occurs.",
        "Replace the adverb {x} with another and tell me what changes.",
        '"Do it {x}," said the old man, and left the room.',
    ),
}

SHELVES = {"n": NOUNS, "v": VERBS, "a": ADJECTIVES, "r": ADVERBS}
"""Part of speech -> family -> sentences."""
