-- GET the paths of a file in turn.  arguments: FILE
local report = require("report")
local ready, turn = {}, 0

function init(args)
  for _, path in ipairs(report.lines(args[1])) do
    ready[#ready + 1] = wrk.format("GET", path)
  end
end

function request()
  turn = turn % #ready + 1
  return ready[turn]
end

function done(summary, latency, requests)
  report.print(summary, latency)
end
