local tiers = {
  {name = "gpu0", gpu = 0, capacity_bytes = 10},
  {name = "gpu1", gpu = 1, capacity_bytes = 10},
  {name = "shm0", numa_node = 0},
  {name = "shm1", numa_node = 1},
  {name = "disk"},
}
local function placement(hint, client)
  return {tiers = tiers, hint = hint, client = client, payload = {size_bytes = 10}}
end

policy.example {hook = "place", expect = "shm1", facts = placement("shm0", {numa_node = 1})}
policy.example {hook = "place", expect = "shm0", facts = placement("shm0", {numa_node = 0})}
policy.example {hook = "place", expect = "gpu1", facts = placement("gpu0", {gpu = 1})}
policy.example {hook = "place", expect = "gpu1", facts = placement(nil, {gpu = 1, numa_node = 0})}
policy.example {hook = "place", expect = "shm1", facts = placement(nil, {numa_node = 1})}
-- Another kind of tier, or nobody knows where the client is, or no tier is there.
policy.example {hook = "place", expect = "default", facts = placement("disk", {numa_node = 1})}
policy.example {hook = "place", expect = "default", facts = placement("shm0", {})}
policy.example {hook = "place", expect = "default", facts = placement("shm0", {numa_node = 2})}
-- Too large for it.
policy.example {
  hook = "place", expect = "default",
  facts = {tiers = tiers, hint = "gpu0", client = {gpu = 1}, payload = {size_bytes = 11}},
}
