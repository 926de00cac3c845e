"""What wants another answer is told apart, however near it is in meaning."""

from __future__ import annotations

import pytest

from gateway.cache.semantic.guard import VETOES, veto
from gateway.cache.semantic.reading import read

APART = {
    "number": [
        ("What is 15% of 240?", "What is 18% of 240?"),
        ("What percentage of 50 is 20?", "What percentage of 20 is 50?"),
        ("List the first twenty elements", "List the first thirty elements"),
        ("How do I get 10k followers?", "How do I get 100k followers?"),
    ],
    "date": [
        ("What holidays are in May?", "What holidays are in June?"),
        ("Summarize our Q1 revenue report", "Summarize our Q2 revenue report"),
        ("What opens on Monday?", "What opens on Sunday?"),
        ("Is the pool busy on weekdays?", "Is the pool busy on weekends?"),
    ],
    "unit": [
        ("What is 5 kg in pounds?", "What is 5 g in pounds?"),
        ("How much is 10 euros in yen?", "How much is 10 dollars in yen?"),
    ],
    "negation": [
        ("Explain why the test passes", "Explain why the test does not pass"),
        ("Should patients with diabetes fast?", "Should patients without diabetes fast?"),
        ("How can I sleep?", "How can't I sleep?"),
        ("Which lamps use power?", "Which lamps hardly use power?"),
    ],
    "opposite": [
        ("How do I upload a file to the server?", "How do I download a file to the server?"),
        ("What are the advantages of remote work?", "What are the disadvantages of remote work?"),
        ("Which transactions are legal?", "Which transactions are illegal?"),
        ("The pros and cons of gold", "The pros and pros of gold"),
        ("Stop every job", "Stop one job"),
    ],
    "kind": [("Which wine goes with red meat?", "Which wine goes with white meat?")],
    "person": [("What is your name?", "What is my name?")],
    "name": [
        ("How do I cancel my Netflix subscription?", "How do I cancel my Spotify subscription?"),
        ("why is postgresql slow on ubuntu", "why is mysql slow on ubuntu"),
        ("What is the capital of Niger?", "What is the capital of Nigeria?"),
    ],
    "code": [
        ("How to use git reset --soft", "How to use git reset --hard"),
        ("SELECT name FROM users WHERE age > 30", "SELECT name FROM users WHERE age < 30"),
        ("What does `a[1:]` return?", "What does `a[:1]` return?"),
    ],
    "format": [("List the planets as JSON", "List the planets as a markdown table")],
    "language": [
        ("Summarize this article in French", "Summarize this article in Italian"),
        ("How do I reset my password?", "¿Cómo restablezco mi contraseña?"),
    ],
    "modality": [("Can visitors wear badges?", "Must visitors wear badges?")],
    "question": [("How does Cotton Hill die?", "Who did Cotton Hill die with?")],
    "swap": [
        ("How do I make pancakes without eggs?", "How do I make pancakes without milk?"),
        ("How long does it take to fly from Rome?", "How long does it take to drive from Rome?"),
    ],
    "order": [
        ("Why did Germany invade Poland?", "Why did Poland invade Germany?"),
        ("How do I migrate from Vue to React?", "How do I migrate from React to Vue?"),
        ("Does stress cause insomnia?", "Does insomnia cause stress?"),
        ("What did Anna tell about Ben?", "What did Ben tell about Anna?"),
        ("Does the app save before it syncs?", "Does the app sync before it saves?"),
        ("Can my bank call me?", "Can I call my bank?"),
    ],
}

ALIKE = [
    ("How do I install PostgreSQL on Ubuntu?", "How can I install postgres on ubuntu?"),
    ("what's 15 percent of 240", "What is 15% of 240?"),
    ("Plan a 3-day trip to Rome", "Plan a three day trip to Rome"),
    ("Best laptops under $500", "What are the best laptops under 500 dollars?"),
    ("What day of the week is March 3, 2025?", "What day of the week is 3 March 2025?"),
    ("Convert 70 degrees Fahrenheit to Celsius", "Convert 70°F to Celsius"),
    ("Write a story without a happy ending", "Write a story with no happy ending"),
    ("Which foods can't dogs eat?", "Which foods can dogs not eat?"),
    ("Flights from New York to Florida", "Show me flights to Florida from New York"),
    ("Compare Python and Ruby", "Compare Ruby and Python"),
    ("What is the tallest mountain in Africa?", "Which mountain is the tallest in Africa?"),
    ("Did Hillary Clinton win?", "Did Hilary Clinton win?"),
    ("Who rules the USA?", "Who rules America?"),
    ("How can I increase my IQ?", "How can you increase your IQ?"),
    ("How do I use git reset --soft", "How to use git reset --soft"),
    ("What are the benefits of remote work?", "What are the advantages of remote work?"),
    ("Which foods are good for kids?", "Which foods are good for children?"),
    ("How do I pay?", "How do I pay?"),
    ("Is the pool open on Fridays?", "Is the pool open on Friday?"),
    ("Who won the 1998 race?", "Who was the winner of the 1998 race?"),
    ("How should I store onions?", "How can I store onions?"),
    ("Should I wash rice before I cook it?", "Before I cook it, should I wash rice?"),
    ("What is the tallest tower?", "The tallest tower is what?"),
    ("", ""),
]


@pytest.mark.parametrize(("word", "one", "other"), [(word, *pair) for word, pairs in APART.items() for pair in pairs])
def test_what_must_agree_and_does_not_is_vetoed(word: str, one: str, other: str) -> None:
    assert VETOES[word](read(one), read(other))
    assert VETOES[word](read(other), read(one))
    assert veto(read(one), read(other)) is not None


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_the_same_question_in_other_words_passes(one: str, other: str) -> None:
    assert veto(read(one), read(other)) is None
    assert veto(read(other), read(one)) is None


def test_every_rule_has_a_pair_here() -> None:
    assert APART.keys() == VETOES.keys()
