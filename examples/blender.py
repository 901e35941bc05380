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
scene.frame_set((scene.frame_start + scene.frame_end) // 2)
bpy.context.view_layer.update()

people = [thing for thing in scene.objects if thing.type == "ARMATURE"]
hips = [person.matrix_world @ person.pose.bones[0].matrix.translation for person in people]
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
