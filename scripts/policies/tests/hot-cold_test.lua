local function promotion(used_bytes, frequency, victim)
  return {
    tiers = {{name = "shm", capacity_bytes = 100, used_bytes = used_bytes}, {name = "disk"}},
    tier = "disk", target = "shm", victim = victim,
    payload = {size_bytes = 10, frequency = frequency},
  }
end

-- There is room.
policy.example {hook = "promote", expect = "shm", facts = promotion(90, 1, {frequency = 9})}
policy.example {hook = "promote", expect = "shm", facts = promotion(91, 1)}
-- There is none, and somebody would have to leave.
policy.example {hook = "promote", expect = "shm", facts = promotion(91, 10, {frequency = 9})}
policy.example {hook = "promote", expect = false, facts = promotion(91, 9, {frequency = 9})}
policy.example {hook = "promote", expect = false, facts = promotion(91, 1, {frequency = 9})}
-- Nobody else's room.
policy.example {
  hook = "promote", expect = false,
  facts = {
    tiers = {{name = "shm", capacity_bytes = 100, waiting_bytes = 95}, {name = "disk"}},
    tier = "disk", target = "shm", victim = {frequency = 2},
    payload = {size_bytes = 10, frequency = 1},
  },
}
policy.example {hook = "promote", expect = "default", facts = {}}

policy.example {
  hook = "spill", expect = {1, 2},
  facts = {
    tiers = {{name = "shm"}}, tier = "shm", bytes_wanted = 15,
    candidates = {{size_bytes = 10}, {size_bytes = 10}, {size_bytes = 10}},
  },
}
policy.example {hook = "place", expect = "default", facts = {}}
