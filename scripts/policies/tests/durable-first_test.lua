local tiers = {
  {name = "gpu", capacity_bytes = 10},
  {name = "shm", capacity_bytes = 100},
  {name = "disk", capacity_bytes = 1000, survives_power = true},
  {name = "cloud", survives_power = true},
  {name = "void", keeps_bytes = false},
}
local function placement(size_bytes, hint)
  return {tiers = tiers, hint = hint, payload = {size_bytes = size_bytes}}
end

policy.example {
  hook = "place", expect = {tier = "shm", copy_to = "disk"}, facts = placement(10, "shm"),
}
policy.example {
  hook = "place", expect = {tier = "gpu", copy_to = "disk"}, facts = placement(10),
}
policy.example {
  hook = "place", expect = {tier = "shm", copy_to = "disk"}, facts = placement(11, "gpu"),
}
policy.example {hook = "place", expect = "cloud", facts = placement(10, "cloud")}
policy.example {hook = "place", expect = "cloud", facts = placement(1001, "gpu")}
-- Nothing is durable, or in service.
policy.example {
  hook = "place", expect = "default", facts = {tiers = {{name = "shm"}}, hint = "shm"},
}
policy.example {
  hook = "place", expect = "default",
  facts = {tiers = {{name = "shm"}, {name = "disk", survives_power = true, in_service = false}}},
}
