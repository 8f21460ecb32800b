-- GET the paths of a file in turn.  arguments: FILE
local report = require("report")
local ready = require("in_turn")

function init(args)
  for _, path in ipairs(report.lines(args[1])) do
    ready[#ready + 1] = wrk.format("GET", path)
  end
end
