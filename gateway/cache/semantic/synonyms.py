"""Words that ask for the same: data, and nothing else. Lower case, and looked up by their stems."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.cache.semantic.stem import stem


def _groups(lines: str) -> Mapping[str, frozenset[int]]:
    """The numbers of the lines that have a word."""
    found: dict[str, set[int]] = {}
    for number, line in enumerate(lines.strip().splitlines()):
        for word in line.split():
            found.setdefault(stem(word), set()).add(number)
    return {word: frozenset(numbers) for word, numbers in found.items()}


SYNONYMS = _groups("""
way method approach technique strategy process procedure step manner means possible
best good great greatest top excellent ideal perfect finest better wonderful
nice good great
bad terrible awful horrible
improve increase enhance boost better raise develop strengthen
get obtain acquire receive gain take find have
learn study understand master know
buy purchase order get shop
movie film
picture photo image photograph pic
phone mobile smartphone cellphone cell
car automobile vehicle
kid child children toddler
big large huge great
small little tiny
start begin commence launch initiate started
stop quit end cease halt
fix repair solve resolve correct troubleshoot
make create build produce prepare generate construct develop write
write compose draft implement code
better superior preferable
worse inferior
use utilize apply employ using
delete remove erase eliminate clear
change modify alter edit update switch adjust reset replace
show display list view see tell give
explain describe clarify
difference distinction differ different distinguish
important significant essential necessary crucial
reason cause why purpose
happen occur come
job work career occupation employment position role
company firm organization organisation business corporation
money cash funds
cost price charge fee expense pay rate
cheap inexpensive affordable economical
fast quick rapid speedy quickly rapidly
easy simple straightforward easiest simplest
hard difficult tough challenging
smart intelligent clever
rich wealthy
happy glad
sad unhappy depressed
sick ill
beautiful pretty attractive lovely
famous popular well-known
scary frightening
website site page webpage
app application program software
bug error issue problem fault
advantage benefit pro merit plus
disadvantage drawback con
people person someone somebody anyone anybody everyone everybody human one guy man individual men
woman lady female girl
boy guy male
husband spouse
wife spouse
parent mom dad
home house
city town
street road
country nation
trip journey vacation holiday travel tour
visit see go travel
eat consume have
drink consume
food meal dish
meaning definition mean significance
example instance sample
idea thought concept opinion view
fact thing
thing item stuff
feel think believe
want need wish desire like
help assist aid support
allowed permitted legal ok okay fine
possible feasible able
need require
call phone ring dial
email e-mail mail
buy order
lost misplaced missing
stolen robbed
cancel terminate end stop
move migrate transfer relocate switch
freeze lock block
verify confirm check validate
activate enable
contact reach
arrive come
wait waiting expect
long lengthy
old aged
doctor physician
lawyer attorney
movie cinema
book novel
song track music
exam test examination
college university school
teacher professor instructor tutor
exercise workout training
diet nutrition
weight fat
funny hilarious amusing humorous
tip advice suggestion recommendation trick
recommend suggest advise
compare contrast
many several multiple some various few
whole entire all
often frequently regularly
usually normally generally commonly
really actually truly
also too
near nearby close
safe safely ok harmless
painless pain
bike bicycle
sea ocean
rock stone boulder
cut slice chop
jump leap
quick faster quicker
shop store
pc computer
megabyte mb
gigabyte gb
balance amount
salary pay wage income
spin rotate
speak talk say
""")
