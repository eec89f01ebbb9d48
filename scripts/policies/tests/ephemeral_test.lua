local function spill(bytes_wanted, candidates)
  for _, candidate in ipairs(candidates) do candidate.size_bytes = 10 end
  return {
    tiers = {{name = "shm"}, {name = "disk"}, {name = "void", keeps_bytes = false}},
    tier = "shm", bytes_wanted = bytes_wanted, candidates = candidates,
  }
end
local ephemeral = {ephemeral = "yes"}

policy.example {
  hook = "spill", expect = {{candidate = 2, to = "void"}},
  facts = spill(10, {{}, {labels = ephemeral}, {priority = "low"}}),
}
policy.example {
  hook = "spill", expect = {{candidate = 2, to = "void"}, {candidate = 3, to = "void"}},
  facts = spill(20, {{}, {labels = ephemeral}, {priority = "low"}}),
}
-- They are not enough.
policy.example {
  hook = "spill", expect = {{candidate = 2, to = "void"}, 1},
  facts = spill(20, {{}, {labels = ephemeral}, {}}),
}
-- There are none.
policy.example {hook = "spill", expect = "default", facts = spill(20, {{}, {}})}
policy.example {
  hook = "spill", expect = "default",
  facts = spill(20, {
    {labels = ephemeral, require_durable = true},
    {priority = "low", spill_target = "disk"},
    {priority = "low", labels = {ephemeral = "no"}},
  }),
}
-- There is nowhere to be lost.
policy.example {
  hook = "spill", expect = "default",
  facts = {
    tiers = {{name = "shm"}, {name = "disk"}}, tier = "shm", bytes_wanted = 10,
    candidates = {{size_bytes = 10, labels = ephemeral}},
  },
}
policy.example {hook = "promote", expect = "default", facts = {}}
