"""Words that exclude each other: data, and nothing else. Lower case, and looked up by their stems."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.cache.semantic.stem import stem


def _opposites(lines: str) -> Mapping[str, frozenset[str]]:
    """Each line has words before and after a `/`: those before are opposite to those after."""
    found: dict[str, set[str]] = {}
    for line in lines.strip().splitlines():
        here, there = ([stem(word) for word in side.split()] for side in line.split("/"))
        for word in here:
            found.setdefault(word, set()).update(there)
        for word in there:
            found.setdefault(word, set()).update(here)
    return {word: frozenset(others) for word, others in found.items()}


def _kinds(lines: str) -> Mapping[str, int]:
    """The words of each line, by its number."""
    return {stem(word): number for number, line in enumerate(lines.strip().splitlines()) for word in line.split()}


OPPOSITES = _opposites("""
advantage benefit pro upside strength / disadvantage drawback con downside weakness
good great nice / bad poor terrible awful
best better / worst worse
increase raise grow gain bigger enlarge / decrease lower reduce shrink lose smaller
maximum max most maximize largest biggest / minimum min least minimize smallest
more many / less fewer few
large big huge / small little tiny
high higher highest / low lower lowest
long longer longest / short shorter shortest
long longer longest / brief
tall taller tallest / short shorter shortest
detailed thorough comprehensive / short brief concise
fast faster fastest quick quickest / slow slower slowest
hot hotter hottest warm / cold colder coldest cool
old older oldest / young younger youngest new newer newest
early earlier earliest / late later latest
strong stronger strongest / weak weaker weakest
heavy heavier heaviest / light lighter lightest
rich richer richest / poor poorer poorest
cheap cheaper cheapest inexpensive / expensive costly
easy easier easiest simple / hard harder hardest difficult complex complicated
near nearer nearest close closest / far farther farthest further furthest
deep deeper deepest / shallow
wide wider widest broad / narrow narrower narrowest
thick / thin
full / empty
clean / dirty
wet / dry
loud / quiet
soft / hard
hard / soft
dead / alive
true right correct / false wrong incorrect
open opening / close closing shut
start begin launch / stop end finish quit
enable activate allow permit lock / disable deactivate block forbid prohibit unlock
upload / download
import / export
add insert append include / remove delete subtract exclude
create make build / delete destroy remove
install / uninstall
connect attach / disconnect detach
encrypt encode compress zip / decrypt decode decompress unzip
push / pull
send / receive
buy purchase / sell
lend / borrow
deposit / withdraw withdrawal
pay / receive
win won / lose lost
accept approve / reject decline refuse deny
love like / hate dislike
remember / forget
arrive arrival / depart departure leave
enter entry / exit leave
income revenue profit / expense cost loss
asset / liability
credit / debit
attack / defend
succeed success pass / fail failure
upgrade / downgrade
up / down
upper / lower
left / right
top / bottom
front / back
inside / outside
in / out
into / out
for / against
on / off
before / after
above over / below under
ascending / descending
first / last
next / previous last
always / never
all every each both / some none one any either only
everyone everybody / someone nobody
legal / illegal
active / inactive passive
public / private
internal / external
input / output
positive / negative
present / absent
similarity similar same / difference different
possible / impossible
healthy / unhealthy
safe / dangerous unsafe
normal / abnormal
ancient / modern
major / minor
majority / minority
indoor indoors / outdoor outdoors
online / offline
male / female
man men guy guys / woman women
boy boys / girl girls
he him / she her
his / her
father dad / mother mom
husband / wife
brother / sister
son / daughter
king / queen
employer / employee
teacher / student
doctor / patient
parent / child
buyer / seller
north northern / south southern
east eastern / west western
day / night
morning / evening afternoon night
sunrise / sunset
summer / winter
spring / autumn
sit sitting / stand standing
asleep sleep sleeping / awake
lie lying / stand standing
climb ascend / descend
fill / drain
freeze / melt thaw
peel / cook
will / did was
frontend client / backend server
sync synchronous / async asynchronous
static / dynamic
local / remote global
horizontal / vertical
read / write
get / set
serialize / deserialize
marry / divorce
vegan vegetarian / meat
""")

KINDS = _kinds("""
black white red green blu yellow brown grey gray pink purple
breakfast lunch dinner
football soccer basketball baseball tennis cricket hockey golf rugby
gold silver copper bronze steel wood wooden plastic glass
water beer wine coffee tea milk juice
dog cat horse bird fish cow pig
physics chemistry biology mathematics history geography economics
bachelor master doctorate
petrol diesel electric hybrid
tcp udp
http https
ipv4 ipv6
ssd hdd
cpu gpu
merge rebase
soft hard
inner outer cross
beginner intermediate advanced expert
checking savings
debit credit
mercury venus earth mars jupiter saturn uranus neptune
email url phone
terabyte gigabyte megabyte
past future
knife fork spoon
guitar piano violin flute drum
car bus train bicycle motorcycle truck
walk run jump swim ride fly
carrot potato onion tomato garlic
hip knee shoulder elbow ankle
cardiologist dermatologist neurologist
vitamin protein
general special
rent mortgage
android ios
""")
"""Words of one kind, of which each excludes the others: another one asks for something else."""

PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "non-", "mis", "de", "anti", "a")
"""What makes a word its own opposite."""
