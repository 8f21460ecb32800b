-- Send the requests of a file in turn.  arguments: FILE
-- FILE: on each line a method, a path, a key or "-", and a JSON body or nothing, with tabs between them.
local report = require("report")
local ready = require("in_turn")

function init(args)
  for _, line in ipairs(report.lines(args[1])) do
    local method, path, key, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
    local headers = {}
    if key ~= "-" then
      headers["Authorization"] = "Bearer " .. key
    end
    if body ~= "" then
      headers["Content-Type"] = "application/json"
    else
      body = nil
    end
    ready[#ready + 1] = wrk.format(method, path, headers, body)
  end
end
