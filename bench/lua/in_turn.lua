-- Shared by the scripts whose requests are ready before the first is sent: their `init` fills the list that this
-- returns, the requests of it are sent in turn, and the run is printed.
local report = require("report")
local ready, turn = {}, 0

function request()
  turn = turn % #ready + 1
  return ready[turn]
end

function done(summary, latency, requests)
  report.print(summary, latency)
end

return ready
