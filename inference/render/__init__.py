"""Pictures of people in 3D: of a predicted scene (`experiment=predict`) and of an evaluation.

page        an HTML file that plays the scene, with its page.html, page.css and page_*.js
overlay     a video: detections and 3D poses over the frames that they came from
animation   a video: the scene in 3D from two views
clip        a GIF of an evaluated scene: annotation, lifted and refined
figures     one evaluated trajectory through an occlusion
canvas      the picture that they draw on
drawing     what they share: colours, bones, strokes, plates of text
view        world, floor, cameras, figures that stand in it

To add a picture: a module with one public function (scene, path) that draws with `drawing` and `view`, its call in
experiments/tasks/predict.py or evaluate.py, a section in docs/api/inference.md, and a test that finds the people in it.
"""
