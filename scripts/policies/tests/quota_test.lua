local gib = 1024 * 1024 * 1024
local function allocation(name, on_shm, on_disk, size_bytes)
  return {
    tiers = {{name = "shm"}, {name = "disk"}}, tier = "shm",
    client = {name = name, used_bytes = {shm = on_shm, disk = on_disk}},
    payload = {size_bytes = size_bytes},
  }
end

policy.example {
  hook = "admit", expect = "default", facts = allocation("uid:1000", 63 * gib, 0, gib),
}
policy.example {
  hook = "admit", facts = allocation("uid:1000", 64 * gib, 0, 1),
  expect = "the quota on shm is 68719476736 bytes, and 68719476736 are used",
}
policy.example {
  hook = "admit", expect = "default", facts = allocation("uid:1000", gib, 1022 * gib, gib),
}
policy.example {
  hook = "admit", facts = allocation("uid:1000", gib, 1023 * gib, 1),
  expect = "the quota in all is 1099511627776 bytes, and 1099511627776 are used",
}
-- Another tier has no limit of its own.
policy.example {
  hook = "admit", expect = "default",
  facts = {
    tiers = {{name = "shm"}, {name = "disk"}}, tier = "disk",
    client = {name = "uid:1000", used_bytes = {shm = 64 * gib}}, payload = {size_bytes = gib},
  },
}
-- Who is named has limits of their own; who is not known shares those of the others.
policy.example {
  hook = "admit", expect = "default", facts = allocation("uid:0", 999 * gib, 999 * gib, gib),
}
policy.example {hook = "admit", expect = false, facts = allocation("", 64 * gib, 0, 1)}
