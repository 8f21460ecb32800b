-- name: lineage
-- The relatives of the model `?2` of the workspace `?1`: up to `?3` steps towards its base models, up to `?4` steps
-- towards what is made from it, and up to `?5` rows each way. An alias between two models is no step of its own; where
-- it leads nowhere it stands there itself. `near` is the relative one step closer to the model that was asked for.
WITH RECURSIVE
up (kind, workspace, name, near_kind, near_workspace, near_name, via, depth) AS (
    SELECT 'model', ?1, ?2, NULL, NULL, NULL, NULL, 0
    UNION
    SELECT CASE WHEN to_model.source_id IS NULL THEN base.target_kind ELSE to_model.target_kind END,
           COALESCE(to_model.target_workspace, base.target_workspace), COALESCE(to_model.target_name, base.target_name),
           up.kind, up.workspace, up.name,
           CASE WHEN to_model.source_id IS NOT NULL THEN base.target_workspace || '/' || base.target_name END,
           up.depth + 1
    FROM up
    JOIN records AS child ON child.kind = up.kind AND child.workspace = up.workspace AND child.name = up.name
    JOIN links AS base ON base.source_id = child.id AND base.field = 'base_model'
    LEFT JOIN records AS alias ON base.target_kind = 'alias' AND alias.kind = 'alias'
         AND alias.workspace = base.target_workspace AND alias.name = base.target_name
    LEFT JOIN links AS to_model ON to_model.source_id = alias.id AND to_model.field = 'model'
    WHERE up.depth < ?3
    LIMIT ?5 + 1
),
down (kind, workspace, name, near_kind, near_workspace, near_name, via, depth) AS (
    SELECT 'model', ?1, ?2, NULL, NULL, NULL, NULL, 0
    UNION
    SELECT made.kind, made.workspace, made.name, down.kind, down.workspace, down.name, NULL, down.depth + 1
    FROM down
    JOIN links AS base ON base.target_kind = 'model' AND base.target_workspace = down.workspace
         AND base.target_name = down.name
    JOIN records AS made ON made.id = base.source_id AND (made.kind, base.field) IN (
        VALUES ('model', 'base_model'), ('adapter', 'model')
    )
    WHERE down.kind = 'model' AND down.depth < ?4
    UNION
    SELECT made.kind, made.workspace, made.name, down.kind, down.workspace, down.name,
           alias.workspace || '/' || alias.name, down.depth + 1
    FROM down
    JOIN links AS to_model ON to_model.target_kind = 'model' AND to_model.target_workspace = down.workspace
         AND to_model.target_name = down.name AND to_model.field = 'model'
    JOIN records AS alias ON alias.id = to_model.source_id AND alias.kind = 'alias'
    JOIN links AS base ON base.target_kind = 'alias' AND base.target_workspace = alias.workspace
         AND base.target_name = alias.name AND base.field = 'base_model'
    JOIN records AS made ON made.id = base.source_id AND made.kind = 'model'
    WHERE down.kind = 'model' AND down.depth < ?4
    LIMIT ?5 + 1
)
SELECT found.direction, found.depth, found.kind, found.workspace, found.name, found.near_kind, found.near_workspace,
       found.near_name, found.via, self.id IS NOT NULL,
       EXISTS (SELECT 1 FROM records AS home WHERE home.kind = 'workspace' AND home.workspace = ''
               AND home.name = found.workspace),
       json_extract(self.fields, '$.finetuning_type'), json_extract(self.fields, '$.fileset')
FROM (SELECT 'up' AS direction, * FROM up WHERE depth > 0 UNION ALL SELECT 'down', * FROM down WHERE depth > 0) AS found
LEFT JOIN records AS self
     ON self.kind = found.kind AND self.workspace = found.workspace AND self.name = found.name
ORDER BY found.direction DESC, found.depth, found.kind DESC, found.workspace, found.name;
