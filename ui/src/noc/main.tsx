import '../language.ts'
import '@fontsource-variable/inter'
import '@mantine/core/styles.css'
import 'uplot/dist/uPlot.min.css'
import '../styles.css'
import { createRoot } from 'react-dom/client'
import { createBrowserRouter } from 'react-router'
import { connect } from '../backend/noc.ts'
import { FaceApp } from './FaceApp.tsx'
import { routes } from './routes.tsx'
import { adoptVariables } from './variables.ts'

adoptVariables(document)
const root = document.getElementById('root')
if (!root) throw new Error('noc.html has no #root')
createRoot(root).render(<FaceApp noc={connect()} router={createBrowserRouter(routes)} />)
