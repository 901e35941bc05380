"""A run's scene.glb as a picture by Blender, seen from beside its camera.

Either `blender --background --python examples/blender.py -- scene.glb picture.jpg`, or, after `pip install bpy`,
`python examples/blender.py scene.glb picture.jpg`.
"""

import sys
from pathlib import Path

import bpy
from mathutils import Vector

arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
source, target = (str(Path(path).resolve()) for path in arguments)
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_scene.gltf(filepath=source)
scene = bpy.context.scene
people = [thing for thing in scene.objects if thing.type == "ARMATURE"]
last = max(action.frame_range[1] for action in bpy.data.actions)


def hips_at(frame):
    """Where the hips are of everybody who is there in that frame: who is not has no size."""
    scene.frame_set(round(frame))
    bpy.context.view_layer.update()
    hips = [person.matrix_world @ person.pose.bones[0].matrix for person in people]
    return [hip.translation for hip in hips if hip.median_scale > 0.5]


# Of a few frames from the middle outward, the first that shows most people.
frame = max((last * part for part in (0.5, 0.4, 0.6, 0.25, 0.75, 0.1, 0.9)), key=lambda frame: len(hips_at(frame)))
hips = hips_at(frame)
middle = sum(hips, Vector()) / len(hips)
eye = middle + Vector((-0.9, -0.9, 0.45)) * (3.4 + 1.3 * max((hip - middle).length for hip in hips))
camera = bpy.data.objects.new("beside", bpy.data.cameras.new("beside"))
camera.location, camera.rotation_euler = eye, (middle - eye).to_track_quat("-Z", "Y").to_euler()
sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
sun.data.energy, sun.rotation_euler = 3.0, (0.6, 0.4, 0)
for thing in (camera, sun):
    scene.collection.objects.link(thing)
scene.camera, scene.world = camera, bpy.data.worlds.new("sky")
scene.world.use_nodes = True
scene.world.node_tree.nodes["Background"].inputs[0].default_value = (0.7, 0.8, 0.9, 1)
scene.render.engine, scene.cycles.samples = "CYCLES", 32
scene.render.resolution_x, scene.render.resolution_y = 640, 400
scene.render.image_settings.file_format = "JPEG"
scene.render.filepath = target
bpy.ops.render.render(write_still=True)
