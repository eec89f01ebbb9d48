local function spill(bytes_wanted, lives)
  local candidates = {}
  for number, expires_in_ms in ipairs(lives) do
    candidates[number] = {size_bytes = 10, expires_in_ms = expires_in_ms}
  end
  return {
    tiers = {{name = "shm"}, {name = "disk"}}, tier = "shm",
    bytes_wanted = bytes_wanted, candidates = candidates,
  }
end

-- Nobody expires soon: as others say.
policy.example {hook = "spill", expect = "default", facts = spill(20, {math.huge, 60001, 99999})}
-- Those that live longer leave, in the order that they are shown in.
policy.example {hook = "spill", expect = {2}, facts = spill(10, {1000, math.huge, 70000})}
policy.example {hook = "spill", expect = {2, 3}, facts = spill(20, {1000, math.huge, 70000})}
-- When they are not enough, what lives longest of the rest.
policy.example {hook = "spill", expect = {2, 3, 1}, facts = spill(21, {1000, math.huge, 70000})}
policy.example {hook = "spill", expect = {2, 3, 1}, facts = spill(25, {1000, 30000, 2000})}

local function read(expires_in_ms)
  return {
    tiers = {{name = "shm"}, {name = "disk"}}, tier = "disk", target = "shm",
    payload = {expires_in_ms = expires_in_ms},
  }
end
policy.example {hook = "promote", expect = false, facts = read(60000)}
policy.example {hook = "promote", expect = "default", facts = read(60001)}
policy.example {hook = "promote", expect = "default", facts = read(nil)}
