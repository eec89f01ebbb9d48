local tiers = {
  {name = "shm", capacity_bytes = 100},
  {name = "disk", capacity_bytes = 1000},
  {name = "void", keeps_bytes = false},
}

-- What fits goes where the default says.
policy.example {
  hook = "place", expect = "default",
  facts = {tiers = tiers, hint = "shm", payload = {size_bytes = 100}},
}
policy.example {
  hook = "place", expect = "default", facts = {tiers = tiers, payload = {size_bytes = 101}},
}
-- What is too large for the whole tier goes to one that could hold it.
policy.example {
  hook = "place", expect = "disk",
  facts = {tiers = tiers, hint = "shm", payload = {size_bytes = 101}},
}
policy.example {
  hook = "place", expect = "default",
  facts = {tiers = tiers, hint = "shm", payload = {size_bytes = 1001}},
}

-- As many as are needed, the oldest first.
local candidates = {{size_bytes = 10}, {size_bytes = 20}, {size_bytes = 30}}
policy.example {
  hook = "spill", expect = {1, 2},
  facts = {tiers = tiers, tier = "shm", bytes_wanted = 11, candidates = candidates},
}
policy.example {
  hook = "spill", expect = {1},
  facts = {tiers = tiers, tier = "shm", bytes_wanted = 10, candidates = candidates},
}
policy.example {
  hook = "spill", expect = {1, 2, 3},
  facts = {tiers = tiers, tier = "shm", bytes_wanted = 1000, candidates = candidates},
}
policy.example {
  hook = "spill", expect = {}, facts = {tiers = tiers, tier = "shm", bytes_wanted = 10},
}

policy.example {
  hook = "promote", expect = "shm", facts = {tiers = tiers, tier = "disk", target = "shm"},
}
policy.example {hook = "promote", expect = "default", facts = {tiers = tiers, tier = "shm"}}
