"""The leak attack: does a value at bar t know anything of what came after, and how much of the past does it need?"""
