"""
Bytes as words that two people can compare aloud: one of 256 plain words for each byte.

The list is part of what both ends show: a word that is changed makes two versions disagree.
"""

from __future__ import annotations

_LIST = """
    actor album amber angel ankle apple april arch arrow atlas attic autumn award bacon badge bagel baker bamboo
    banana barn basket bath beach beard bench bishop blanket bonus book border bottle box brass bread brick bridge
    broom bubble bucket budget bus butter button cabin cactus camel camp candle canoe canyon carbon cargo castle
    cave chalk cherry chess circle city clock cloud clover coffee comet copper corner cotton cricket crown cup dance
    desert dinner dish doctor dog dolphin donkey door dragon dream drum duck eagle earth echo elbow engine falcon
    farm feather fence field finger fish flag flute forest fork fox frog garden garlic gate ghost giant ginger glass
    globe gold goose grape guitar hammer harbor hat helmet honey hotel house igloo insect iron island ivory jacket
    jaguar jelly jewel judge jungle kettle king kitchen kiwi ladder lake lamp lemon lime linen lion lizard lobster
    lunch magnet mango maple marble market mask melon mirror monkey moon motor mouth museum napkin nephew ninja
    north novel nurse ocean olive onion orange orbit otter oven owl oyster palace panda paper parrot peanut pencil
    pepper piano pigeon pillow pilot pirate planet pocket poem pony potato prince puzzle pyramid queen quilt rabbit
    radar radio raft ranch ribbon river robot rocket rope ruby saddle sailor salad sandal scarf school shadow shark
    silver sister sketch sky smoke snake soap sofa spider spoon square stone sugar summer sunset swamp table tiger
    tomato tongue tower tractor train tulip tunnel turtle uncle valley velvet village violin wagon walnut water
    whale window winter wizard wolf yellow zebra zipper
"""
WORDS = tuple(_LIST.split())


def spoken(octets: bytes) -> tuple[str, ...]:
    """One word for each byte."""
    return tuple(WORDS[octet] for octet in octets)
