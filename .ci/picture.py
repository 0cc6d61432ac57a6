"Draw the picture of README.md: python .ci/picture.py"
from pathlib import Path
from PIL import Image
from petpoo.sample.drawing import draw_pet

BREEDS = 'Siamese pug Birman beagle Bombay samoyed Maine_Coon chihuahua Sphynx shiba_inu Russian_Blue yorkshire_terrier Bengal newfoundland Persian boxer'.split()
SIDE, COLUMNS = 160, 8

sheet = Image.new('RGB', (COLUMNS*SIDE, -(-len(BREEDS)//COLUMNS)*SIDE))
for i, breed in enumerate(BREEDS): sheet.paste(draw_pet(breed, seed=i + 3, size=SIDE)[0], (i % COLUMNS*SIDE, i//COLUMNS*SIDE))
sheet.save(Path('nbs/images/pets.jpg'), quality=88)
