local tiers = {
  {name = "shm", capacity_bytes = 800},
  {name = "disk", capacity_bytes = 8000},
  {name = "cloud", in_service = false},
}

policy.example {
  hook = "place", expect = "default",
  facts = {tiers = tiers, hint = "shm", payload = {size_bytes = 100}},
}
policy.example {
  hook = "place", expect = "disk",
  facts = {tiers = tiers, hint = "shm", payload = {size_bytes = 101}},
}
-- Too large for all that are in service: the default is to find out.
policy.example {
  hook = "place", expect = "default",
  facts = {tiers = tiers, hint = "shm", payload = {size_bytes = 1001}},
}
policy.example {
  hook = "place", expect = "default", facts = {tiers = tiers, payload = {size_bytes = 101}},
}

policy.example {
  hook = "spill", expect = {1, 2},
  facts = {
    tiers = tiers, tier = "shm", bytes_wanted = 15,
    candidates = {{size_bytes = 10}, {size_bytes = 10}, {size_bytes = 10}},
  },
}

local function promotion(size_bytes)
  return {tiers = tiers, tier = "disk", target = "shm", payload = {size_bytes = size_bytes}}
end
policy.example {hook = "promote", expect = false, facts = promotion(101)}
policy.example {hook = "promote", expect = "shm", facts = promotion(100)}
