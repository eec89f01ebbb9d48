-- Mind the time to live: what expires soon gives its room back by itself, so it is not worth the
-- writing. It is pulled up no more, and leaves last, the one that lives longest first. Use it when
-- many payloads live for seconds or minutes.

local soon_ms = 60000

local function expires_soon(payload)
  return payload.expires_in_ms ~= nil and payload.expires_in_ms <= soon_ms
end

policy.spill {
  name = "deadline",
  rule = function(facts)
    local lasting, passing, lives = {}, {}, {}
    for number, payload in ipairs(facts.candidates) do
      table.insert(expires_soon(payload) and passing or lasting, number)
      lives[number] = payload.expires_in_ms or math.huge
    end
    if #passing == 0 then return nil end
    table.sort(passing, function(a, b) return lives[a] > lives[b] end)
    local victims, missing = {}, facts.bytes_wanted
    for _, list in ipairs({lasting, passing}) do
      for _, number in ipairs(list) do
        if missing <= 0 then return victims end
        table.insert(victims, number)
        missing = missing - facts.candidates[number].size_bytes
      end
    end
    return victims
  end,
}

policy.promote {
  name = "deadline",
  rule = function(facts)
    if expires_soon(facts.payload) then return false end
  end,
}
