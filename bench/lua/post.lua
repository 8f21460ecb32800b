-- POST the bodies of a file in turn to one path.  arguments: FILE
-- FILE: the path to post to, then one JSON body a line.
local report = require("report")
local headers = { ["Content-Type"] = "application/json" }
local ready = require("in_turn")

function init(args)
  local lines = report.lines(args[1])
  for index = 2, #lines do
    ready[#ready + 1] = wrk.format("POST", lines[1], headers, lines[index])
  end
end
